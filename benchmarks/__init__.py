"""How fast is it? Each figure stands beside a bare loop of the same work, measured in the same run."""
