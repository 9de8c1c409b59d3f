"""Metrics of open-vocabulary emotion recognition and micro-expression spotting.

| module | content |
|---|---|
| `open_vocabulary` | sets of labels: Accuracy_S, Recall_S, Avg (EMER, MER2024) |
| `label_matching` | grouping of synonymous labels: from a file, word vectors or a language model |
| `wheel_files` | the emotion wheels of the challenges; mapping rules and MicroEmo's wheel are in `microemo.data` |
| `wheel_metrics` | EW scores of OV-MER, MER-UniBench, MER2025 and MER2026; HIT |
| `label_parsing`, `label_extraction` | parse labels from table cells and from free text |
| `classification`, `valence_arousal` | closed label sets and sentiment; CCC and RMSE |
| `spotting` | micro-expressions: F1 at IoU, errors in ms, STRS |
| `calibration`, `bootstrap` | ECE; confidence intervals |
| `multi_label` | micro and macro F1 of multi-label emotions, fitted thresholds |
| `trainer_metrics` | `compute_metrics` of `transformers.Trainer` |
| `evaluate`, `figures` | score tables of prediction files |
| `evaluate_models`, `model_runs`, `ablation`, `dataset_choice` | score tables of models and ablations on a data set |
| `prediction_store`, `tower_cache` | resuming an interrupted run; sharing tower features between ablations |
| `report_figures`, `spotting_figures`, `explanation_figures`, `scored_utterances` | figures of a model's reports |
"""
