"""How far to trust a model: scale, intervals and probabilities that hold; pure, for training and for the predictor."""
