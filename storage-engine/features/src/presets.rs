//! Sets of features that others have published, made by the rules of their own loaders.
//!
//! `qlib.alpha158` and `qlib.alpha360` are those of Qlib (`qlib/contrib/data/loader.py`).

/// The presets there are.
pub const NAMES: [&str; 2] = ["qlib.alpha158", "qlib.alpha360"];

/// Names and expressions of a preset, in its order.
pub(crate) fn find(name: &str) -> Option<Vec<(String, String)>> {
    match name {
        "qlib.alpha158" => Some(alpha158()),
        "qlib.alpha360" => Some(alpha360()),
        _ => None,
    }
}

/// Of the shape of one bar.
const BAR: [(&str, &str); 9] = [
    ("KMID", "($close-$open)/$open"),
    ("KLEN", "($high-$low)/$open"),
    ("KMID2", "($close-$open)/($high-$low+1e-12)"),
    ("KUP", "($high-Greater($open, $close))/$open"),
    ("KUP2", "($high-Greater($open, $close))/($high-$low+1e-12)"),
    ("KLOW", "(Less($open, $close)-$low)/$open"),
    ("KLOW2", "(Less($open, $close)-$low)/($high-$low+1e-12)"),
    ("KSFT", "(2*$close-$high-$low)/$open"),
    ("KSFT2", "(2*$close-$high-$low)/($high-$low+1e-12)"),
];

/// Of windows of `{d}` slots.
const ROLLING: [(&str, &str); 29] = [
    ("ROC", "Ref($close, {d})/$close"),
    ("MA", "Mean($close, {d})/$close"),
    ("STD", "Std($close, {d})/$close"),
    ("BETA", "Slope($close, {d})/$close"),
    ("RSQR", "Rsquare($close, {d})"),
    ("RESI", "Resi($close, {d})/$close"),
    ("MAX", "Max($high, {d})/$close"),
    ("MIN", "Min($low, {d})/$close"),
    ("QTLU", "Quantile($close, {d}, 0.8)/$close"),
    ("QTLD", "Quantile($close, {d}, 0.2)/$close"),
    ("RANK", "Rank($close, {d})"),
    ("RSV", "($close-Min($low, {d}))/(Max($high, {d})-Min($low, {d})+1e-12)"),
    ("IMAX", "IdxMax($high, {d})/{d}"),
    ("IMIN", "IdxMin($low, {d})/{d}"),
    ("IMXD", "(IdxMax($high, {d})-IdxMin($low, {d}))/{d}"),
    ("CORR", "Corr($close, Log($volume+1), {d})"),
    ("CORD", "Corr($close/Ref($close,1), Log($volume/Ref($volume, 1)+1), {d})"),
    ("CNTP", "Mean($close>Ref($close, 1), {d})"),
    ("CNTN", "Mean($close<Ref($close, 1), {d})"),
    ("CNTD", "Mean($close>Ref($close, 1), {d})-Mean($close<Ref($close, 1), {d})"),
    (
        "SUMP",
        "Sum(Greater($close-Ref($close, 1), 0), {d})/(Sum(Abs($close-Ref($close, 1)), {d})+1e-12)",
    ),
    (
        "SUMN",
        "Sum(Greater(Ref($close, 1)-$close, 0), {d})/(Sum(Abs($close-Ref($close, 1)), {d})+1e-12)",
    ),
    (
        "SUMD",
        "(Sum(Greater($close-Ref($close, 1), 0), {d})-Sum(Greater(Ref($close, 1)-$close, 0), {d}))\
         /(Sum(Abs($close-Ref($close, 1)), {d})+1e-12)",
    ),
    ("VMA", "Mean($volume, {d})/($volume+1e-12)"),
    ("VSTD", "Std($volume, {d})/($volume+1e-12)"),
    (
        "WVMA",
        "Std(Abs($close/Ref($close, 1)-1)*$volume, {d})\
         /(Mean(Abs($close/Ref($close, 1)-1)*$volume, {d})+1e-12)",
    ),
    (
        "VSUMP",
        "Sum(Greater($volume-Ref($volume, 1), 0), {d})\
         /(Sum(Abs($volume-Ref($volume, 1)), {d})+1e-12)",
    ),
    (
        "VSUMN",
        "Sum(Greater(Ref($volume, 1)-$volume, 0), {d})\
         /(Sum(Abs($volume-Ref($volume, 1)), {d})+1e-12)",
    ),
    (
        "VSUMD",
        "(Sum(Greater($volume-Ref($volume, 1), 0), {d})\
         -Sum(Greater(Ref($volume, 1)-$volume, 0), {d}))\
         /(Sum(Abs($volume-Ref($volume, 1)), {d})+1e-12)",
    ),
];

fn alpha158() -> Vec<(String, String)> {
    let bar = BAR.map(|(name, expr)| (name.to_owned(), expr.to_owned()));
    let prices = ["open", "high", "low", "vwap"]
        .map(|field| (format!("{}0", field.to_uppercase()), format!("${field}/$close")));
    let rolling = ROLLING.iter().flat_map(|(name, expr)| {
        [5, 10, 20, 30, 60]
            .map(|slots| (format!("{name}{slots}"), expr.replace("{d}", &slots.to_string())))
    });
    bar.into_iter().chain(prices).chain(rolling).collect()
}

fn alpha360() -> Vec<(String, String)> {
    let mut features = Vec::with_capacity(360);
    for field in ["close", "open", "high", "low", "vwap", "volume"] {
        let scale = if field == "volume" { "($volume+1e-12)" } else { "$close" };
        let name = field.to_uppercase();
        for slots in (1..60).rev() {
            features.push((format!("{name}{slots}"), format!("Ref(${field}, {slots})/{scale}")));
        }
        features.push((format!("{name}0"), format!("${field}/{scale}")));
    }
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list that Qlib's loader makes: number, name, expression.
    const PUBLISHED: &str = include_str!("presets/alpha158.txt");

    #[test]
    fn alpha158_is_the_published_list_to_the_letter() {
        let made = alpha158();
        assert_eq!((made.len(), PUBLISHED.lines().count()), (158, 158));
        for ((name, expr), line) in made.iter().zip(PUBLISHED.lines()) {
            let (_, published) = line.trim_start().split_once(' ').expect("a number first");
            let (known, text) = published.trim_start().split_once(' ').expect("then a name");
            assert_eq!((name.as_str(), expr.as_str()), (known, text.trim_start()), "{line}");
        }
    }

    #[test]
    fn alpha360_looks_back_59_slots_at_six_fields() {
        let features = alpha360();
        assert_eq!(features.len(), 360);
        let at = |place: usize| (features[place].0.as_str(), features[place].1.as_str());
        assert_eq!(at(0), ("CLOSE59", "Ref($close, 59)/$close"));
        assert_eq!(at(58), ("CLOSE1", "Ref($close, 1)/$close"));
        assert_eq!(at(59), ("CLOSE0", "$close/$close"));
        assert_eq!(at(60), ("OPEN59", "Ref($open, 59)/$close"));
        assert_eq!(at(299), ("VWAP0", "$vwap/$close"));
        assert_eq!(at(300), ("VOLUME59", "Ref($volume, 59)/($volume+1e-12)"));
        assert_eq!(at(359), ("VOLUME0", "$volume/($volume+1e-12)"));
    }
}
