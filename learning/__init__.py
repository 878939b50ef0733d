"""How a recipe becomes a model: fitting, blending, the artifact. The same code on every platform, in the loop, in a backtest."""
