//! Opens and clicks over time as stacked bars.

use super::context::{Bar, Chart, ChartRow, Legend, Segment, XTick, YTick};
use super::figures::{format, number};
use crate::report::{Bucket, ByClass, Moment, Totals};

const WIDTH: u32 = 720;
const HEIGHT: u32 = 240;
const MOST_LABELS: usize = 7;
/// Class of the mark, word, and place in the counts.
const CLASSES: [(&str, &str); 3] = [("human", "Human"), ("proxy", "Privacy proxy"), ("machine", "Machine")];

/// What a chart counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    Both,
    Opens,
    Clicks,
}

impl Counted {
    fn of(self, totals: &Totals) -> [i64; 3] {
        let classes = |hits: &ByClass| [hits.human.total, hits.privacy_proxy.total, hits.machine.total];
        let (opens, clicks) = (classes(&totals.opens), classes(&totals.clicks));
        match self {
            Counted::Both => [opens[0] + clicks[0], opens[1] + clicks[1], opens[2] + clicks[2]],
            Counted::Opens => opens,
            Counted::Clicks => clicks,
        }
    }
}

/// The chart of a series. A long series of hours is drawn three hours to a bar.
pub(super) fn over_time(counted: Counted, series: &[Moment], bucket: Bucket) -> Chart {
    let (id, title) = match counted {
        Counted::Both => ("volume", "Opens and clicks"),
        Counted::Opens => ("opens", "Opens"),
        Counted::Clicks => ("clicks", "Clicks"),
    };
    let together = if series.len() > 72 { 3 } else { 1 };
    let counts = |moment: &Moment| counted.of(&moment.totals);
    let data: Vec<_> = series
        .chunks(if bucket == Bucket::Hour { together } else { 1 })
        .map(|part| {
            let sum =
                part.iter().map(counts).fold([0; 3], |sum, one| [sum[0] + one[0], sum[1] + one[1], sum[2] + one[2]]);
            (part[0].start, sum)
        })
        .collect();
    let sums = data.iter().fold([0; 3], |sum, (_, one)| [sum[0] + one[0], sum[1] + one[1], sum[2] + one[2]]);
    let all: i64 = sums.iter().sum();
    let unit = match (bucket, together) {
        (Bucket::Hour, 3) => "per 3 hours",
        (Bucket::Hour, _) => "per hour",
        (Bucket::Day, _) => "per day",
        (Bucket::Week, _) => "per week",
    };
    let mut chart = Chart {
        id: id.into(),
        title: title.into(),
        unit,
        is_hourly: bucket == Bucket::Hour,
        has_times: bucket == Bucket::Hour && data.len() <= 24,
        description: String::new(),
        width: WIDTH,
        height: HEIGHT,
        y_ticks: Vec::new(),
        x_ticks: Vec::new(),
        bars: Vec::new(),
        legend: CLASSES
            .iter()
            .zip(sums)
            .map(|((class_name, label), sum)| Legend { class_name, label: (*label).into(), total: number(sum) })
            .collect(),
        table: Vec::new(),
    };
    let Some(((at, peak), total)) = data
        .iter()
        .map(|(at, one)| (at, one.iter().sum::<i64>()))
        .max_by_key(|(_, sum)| *sum)
        .zip((all > 0).then_some(all))
    else {
        return chart;
    };
    let pattern = if bucket == Bucket::Hour { "%a %-d %b, %H:%M" } else { "%a %-d %b" };
    chart.description =
        format!("{} events; the busiest bar is {} with {}.", number(total), format(*at, pattern), number(peak));
    let step = nice_step(peak);
    let top = (peak + step - 1) / step * step;
    let scale = |value: i64| value as f32 * HEIGHT as f32 / top as f32;
    chart.y_ticks = (0..=top / step)
        .map(|index| YTick { y: HEIGHT as f32 - scale(index * step), label: short(index * step) })
        .collect();
    let slot = WIDTH as f32 / data.len() as f32;
    let every = data.len().div_ceil(MOST_LABELS).max(1);
    let label_pattern = if chart.has_times { "%H:%M" } else { "%-d %b" };
    for (index, (at, one)) in data.iter().enumerate() {
        let x = index as f32 * slot;
        let mut y = HEIGHT as f32;
        let mut segments = Vec::new();
        for ((class_name, _), value) in CLASSES.iter().zip(*one).filter(|(_, value)| *value > 0) {
            y -= scale(value);
            segments.push(Segment { y, height: scale(value), class_name });
        }
        let time = format(*at, pattern);
        let lines: Vec<_> =
            CLASSES.iter().zip(*one).map(|((_, label), value)| format!("{label} {}", number(value))).collect();
        chart.bars.push(Bar {
            at: at.to_string(),
            x,
            width: slot,
            segments,
            hover: format!("{time}\n{}", lines.join("\n")),
        });
        chart.table.push(ChartRow {
            at: at.to_string(),
            time,
            human: number(one[0]),
            proxy: number(one[1]),
            machine: number(one[2]),
        });
        if index % every == every / 2 {
            chart.x_ticks.push(XTick { at: at.to_string(), x: x + slot / 2.0, label: format(*at, label_pattern) });
        }
    }
    chart
}

/// 1, 2 or 5 × 10ⁿ, so that three to six steps reach `peak`.
fn nice_step(peak: i64) -> i64 {
    let mut magnitude = 1;
    loop {
        for factor in [1, 2, 5] {
            if factor * magnitude * 5 >= peak {
                return factor * magnitude;
            }
        }
        magnitude *= 10;
    }
}

fn short(value: i64) -> String {
    match value {
        value if value >= 1_000_000 => format!("{}M", value as f64 / 1e6),
        value if value >= 1000 => format!("{}k", value as f64 / 1e3),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_has_round_steps() {
        assert_eq!([1, 5, 6, 99, 100, 101, 3412].map(nice_step), [1, 1, 2, 20, 20, 50, 1000]);
        assert_eq!([5, 1500, 2_000_000].map(short), ["5", "1.5k", "2M"]);
    }
}
