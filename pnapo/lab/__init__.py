"""The laboratory: what is measured on models and pairs to judge the paper's claims, beside the scores of trained runs."""
