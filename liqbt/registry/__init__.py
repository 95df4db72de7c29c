"""What is fixed before a run, and what is counted: registrations, sealed holdouts, trials."""
