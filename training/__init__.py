"""Training of MicroEmo from labelled clips and photographs."""
