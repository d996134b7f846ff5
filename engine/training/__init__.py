"""Fine-tuning: a recipe is data (a spec) and a few small functions; the Trainer family does the training."""
