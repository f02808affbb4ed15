"""How does a usage log become events again? Its columns are guessed or mapped, its times are understood."""
