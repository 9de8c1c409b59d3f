"""Labelled clips and pictures in, weights out."""
