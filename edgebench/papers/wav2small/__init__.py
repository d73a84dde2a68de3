"""Kounadis-Bastian et al., Wav2Small: Distilling Wav2Vec2 to 72K Parameters, 2024."""
