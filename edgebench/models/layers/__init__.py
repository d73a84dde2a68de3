"""Parts that several architectures share: front ends and heads."""
