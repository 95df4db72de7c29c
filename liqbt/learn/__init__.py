"""Probabilities learnt from matured outcomes: one walk-forward, two penalised logits, the models.

`walk` says what may train when (and walks a multinomial logit), `logit` fits, `models` names what
is predicted and from what. What is given here are tables that end at a time: no log, no tape.
"""
