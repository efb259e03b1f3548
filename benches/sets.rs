//! Sets of features that several programs compute.

/// Seven usual features, which are compared with those of data frames and databases: name and
/// expression.
pub const SEVEN: [(&str, &str); 7] = [
    ("ret1", "Ret($close, 1)"),
    ("std20", "Std($close, 20)"),
    ("mean20", "Mean($close, 20)"),
    ("mean60", "Mean($close, 60)"),
    ("z60", "ZScore($close, 60)"),
    ("rsi14", "RSI($close, 14)"),
    ("ema26", "EMA($close, 26)"),
];
