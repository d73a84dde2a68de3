"""What lies on a device: its facts, files by content, the agent, and private environments."""
