"""Runtimes: one module each. `table` names them, `base` says what each must offer."""
