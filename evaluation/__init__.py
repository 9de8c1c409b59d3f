"""Metrics of open-vocabulary emotion recognition and micro-expression spotting.

| module | what it scores |
|---|---|
| `open_vocabulary` | sets of labels: Accuracy_S, Recall_S, Avg (EMER, MER2024) |
| `label_matching` | which labels mean the same: groups in a file, word vectors, a language model |
| `emotion_wheel`, `wheel_files`, `default_wheel` | wheels: the rules, the challenges' files, MicroEmo's own |
| `wheel_metrics` | EW scores of OV-MER, MER-UniBench, MER2025 and MER2026; HIT |
| `label_parsing`, `label_extraction` | labels out of cells, and out of free text |
| `classification`, `valence_arousal` | closed sets, sentiment; CCC and RMSE |
| `spotting` | micro-expressions: F1 at IoU, errors in ms, STRS |
| `calibration`, `bootstrap` | ECE; intervals of any figure |
| `trainer_metrics` | `compute_metrics` of `transformers.Trainer` |
| `evaluate`, `evaluate_command` | tables of whole files; `microemo evaluate` |
"""
