"""Metrics of open-vocabulary emotion recognition and micro-expression spotting.

| module | what it scores |
|---|---|
| `open_vocabulary` | sets of labels: Accuracy_S, Recall_S, Avg (EMER, MER2024) |
| `label_matching` | which labels mean the same: groups in a file, word vectors, a language model |
| `wheel_files` | the challenges' emotion wheels; the rules and MicroEmo's own are in `microemo.data` |
| `wheel_metrics` | EW scores of OV-MER, MER-UniBench, MER2025 and MER2026; HIT |
| `label_parsing`, `label_extraction` | labels out of cells, and out of free text |
| `classification`, `valence_arousal` | closed sets, sentiment; CCC and RMSE |
| `spotting` | micro-expressions: F1 at IoU, errors in ms, STRS |
| `calibration`, `bootstrap` | ECE; intervals of any figure |
| `multi_label` | several emotions at once: micro and macro F1, thresholds fitted for each |
| `explanation_reading` | the findings and the unchecked text of a report's explanation |
| `trainer_metrics` | `compute_metrics` of `transformers.Trainer` |
| `evaluate`, `figures` | tables of whole files |
| `evaluate_models`, `model_runs`, `ablation`, `dataset_choice` | tables of models on data sets, and of ablations |
| `prediction_store`, `tower_cache` | what makes that go on after a stop, and quick |
| `report_figures`, `spotting_figures`, `explanation_figures`, `labelled_parts` | figures of a model's reports |
| `evaluate_command` | `microemo evaluate` |
"""
