//! Operators of the calendar and of other slots, and words that are known but refused.

use super::{Body, Entry, Kind, Param, X, param};

const fn across(name: &'static str) -> Entry {
    Entry::new(name, &[], Body::NotYet("a cross-section"))
}

const STEP: Param = param("step", Kind::Text);
const INSTRUMENT: Param = param("instrument", Kind::Text);

pub(super) static ENTRIES: &[Entry] = &[
    Entry::expr("MinuteOfSession", &[], "$minute"),
    Entry::expr("DayOfWeek", &[], "$weekday"),
    Entry::expr("IsHalfDay", &[], "$half_day"),
    Entry::expr("BarsToClose", &[], "$slots - $slot - 1"),
    Entry::new("At", &[STEP, X], Body::At),
    Entry::new("Of", &[INSTRUMENT, X], Body::Of).also(&["ChangeInstrument"]),
    Entry::new("Lead", &[], Body::LooksAhead),
    across("CSRank"),
    across("CSZ"),
    across("CSDemean"),
    across("GroupDemean").also(&["indneutralize"]),
    across("GroupRank"),
    across("GroupZ"),
    across("GroupScale"),
    across("CSScale").also(&["scale"]),
    across("CSWinsor"),
    across("CSClipSigma"),
    across("CSRankNorm"),
    across("CSGauss"),
    across("CSResid"),
    across("CSQuantileBin"),
    across("CSMean"),
    across("CSStd"),
    across("CSCount"),
    across("CSCorr"),
    across("CSFill"),
    Entry::new("PIT", &[], Body::NotYet("point in time")),
    Entry::new("PRef", &[], Body::NotYet("point in time")),
    Entry::new("P", &[], Body::NotYet("point in time")),
];
