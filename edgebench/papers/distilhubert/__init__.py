"""The DistilHuBERT paper on mobile speech emotion: its Table II and Fig. 1."""
