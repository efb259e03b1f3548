//! Qlib's Alpha158, node by node.

use barrow_features::{Field, NodeId, Operator as O};

use super::Builder;

pub(crate) fn build() -> Builder {
    let mut b = Builder::new();
    let b_ = &mut b;
    let [open, high, low, close, volume, vwap] =
        [Field::Open, Field::High, Field::Low, Field::Close, Field::Volume, Field::Vwap]
            .map(|field| b_.field(field));
    let tiny = b_.number(1e-12);
    let zero = b_.number(0.0);
    let one = b_.number(1.0);
    let two = b_.number(2.0);
    let range = b_.two(O::Sub, high, low);
    let range_up = b_.two(O::Add, range, tiny);
    let body = b_.two(O::Sub, close, open);
    let top = b_.two(O::Greater, open, close);
    let bottom = b_.two(O::Less, open, close);
    let upper = b_.two(O::Sub, high, top);
    let lower = b_.two(O::Sub, bottom, low);
    let doubled = b_.two(O::Mul, two, close);
    let shift = b_.two(O::Sub, doubled, high);
    let shift = b_.two(O::Sub, shift, low);
    for (name, x, y) in [
        ("KMID", body, open),
        ("KLEN", range, open),
        ("KMID2", body, range_up),
        ("KUP", upper, open),
        ("KUP2", upper, range_up),
        ("KLOW", lower, open),
        ("KLOW2", lower, range_up),
        ("KSFT", shift, open),
        ("KSFT2", shift, range_up),
        ("OPEN0", open, close),
        ("HIGH0", high, close),
        ("LOW0", low, close),
        ("VWAP0", vwap, close),
    ] {
        ratio(b_, name, x, y);
    }
    let before = b_.op(O::Ref, &[close], 1, &[]);
    let volume_before = b_.op(O::Ref, &[volume], 1, &[]);
    let change = b_.two(O::Div, close, before);
    let grown = b_.two(O::Add, volume, one);
    let log_volume = b_.op(O::Log, &[grown], 0, &[]);
    let volume_change = b_.two(O::Div, volume, volume_before);
    let volume_change = b_.two(O::Add, volume_change, one);
    let log_change = b_.op(O::Log, &[volume_change], 0, &[]);
    let up = b_.two(O::Gt, close, before);
    let down = b_.two(O::Lt, close, before);
    let moves = parts(b_, close, before, zero);
    let volume_moves = parts(b_, volume, volume_before, zero);
    let ret = b_.two(O::Sub, change, one);
    let ret = b_.op(O::Abs, &[ret], 0, &[]);
    let weighted = b_.two(O::Mul, ret, volume);
    let volume_up = b_.two(O::Add, volume, tiny);
    for n in [5, 10, 20, 30, 60] {
        let past = b_.op(O::Ref, &[close], n, &[]);
        ratio(b_, "ROC", past, close);
        let count = b_.number(f64::from(n));
        for (op, x, over, numbers) in [
            (O::Mean, close, Some(close), &[][..]),
            (O::Std, close, Some(close), &[1.0]),
            (O::Slope, close, Some(close), &[]),
            (O::Rsquare, close, None, &[]),
            (O::Resi, close, Some(close), &[]),
            (O::Max, high, Some(close), &[]),
            (O::Min, low, Some(close), &[]),
            (O::Quantile, close, Some(close), &[0.8]),
            (O::Quantile, close, Some(close), &[0.2]),
            (O::Rank, close, None, &[]),
            (O::Mean, up, None, &[]),
            (O::Mean, down, None, &[]),
            (O::Mean, volume, Some(volume_up), &[]),
            (O::Std, volume, Some(volume_up), &[1.0]),
            (O::IdxMax, high, Some(count), &[]),
            (O::IdxMin, low, Some(count), &[]),
        ] {
            let node = b_.op(op, &[x], n, numbers);
            let name = format!("{op:?}{n}");
            match over {
                Some(over) => ratio(b_, &name, node, over),
                None => b_.output(&name, node),
            }
        }
        let (most, least) = (b_.op(O::Max, &[high], n, &[]), b_.op(O::Min, &[low], n, &[]));
        let above = b_.two(O::Sub, close, least);
        let span = b_.two(O::Sub, most, least);
        let span = b_.two(O::Add, span, tiny);
        ratio(b_, "RSV", above, span);
        let (at_most, at_least) =
            (b_.op(O::IdxMax, &[high], n, &[]), b_.op(O::IdxMin, &[low], n, &[]));
        let apart = b_.two(O::Sub, at_most, at_least);
        ratio(b_, "IMXD", apart, count);
        let corr = b_.op(O::Corr, &[close, log_volume], n, &[]);
        b_.output("CORR", corr);
        let cord = b_.op(O::Corr, &[change, log_change], n, &[]);
        b_.output("CORD", cord);
        let (rises, falls) = (b_.op(O::Mean, &[up], n, &[]), b_.op(O::Mean, &[down], n, &[]));
        let cntd = b_.two(O::Sub, rises, falls);
        b_.output("CNTD", cntd);
        for [gain, loss, all] in [moves, volume_moves] {
            let [gain, loss, all] = [gain, loss, all].map(|x| b_.op(O::Sum, &[x], n, &[]));
            let all = b_.two(O::Add, all, tiny);
            ratio(b_, "SUMP", gain, all);
            ratio(b_, "SUMN", loss, all);
            let both = b_.two(O::Sub, gain, loss);
            ratio(b_, "SUMD", both, all);
        }
        let std = b_.op(O::Std, &[weighted], n, &[1.0]);
        let mean = b_.op(O::Mean, &[weighted], n, &[]);
        let mean = b_.two(O::Add, mean, tiny);
        ratio(b_, "WVMA", std, mean);
    }
    b
}

fn ratio(b: &mut Builder, name: &str, x: NodeId, y: NodeId) {
    let node = b.two(O::Div, x, y);
    b.output(name, node);
}

/// Rises, falls and both of a series against the slot before.
fn parts(b: &mut Builder, x: NodeId, before: NodeId, zero: NodeId) -> [NodeId; 3] {
    let rise = b.two(O::Sub, x, before);
    let fall = b.two(O::Sub, before, x);
    [b.two(O::Greater, rise, zero), b.two(O::Greater, fall, zero), b.op(O::Abs, &[rise], 0, &[])]
}
