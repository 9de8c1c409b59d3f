"""MicroEmo: open-vocabulary emotion recognition from dialogue video."""
