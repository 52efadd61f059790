"""What `fsmbot sessions` does with stored sessions: list, export, delete."""
