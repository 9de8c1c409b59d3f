"""Labels, augmentation and models of the training objectives."""
