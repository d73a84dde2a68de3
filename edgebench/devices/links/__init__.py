"""How a device is reached: commands and files on this machine or over SSH."""
