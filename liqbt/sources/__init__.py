"""One vendor a module: bytes in, typed event tables out. They never use each other."""
