//! Draws what the model makes beside what its formulas and the published figures say, as one SVG:
//! `cargo run --release -p petstore --example plots > crates/petstore/distributions.svg`.

use std::collections::BTreeMap;
use std::fmt::Write;

use petstore::{BlockId, COHORT, Parameters, Petstore, Sale, State};

/// Of the drawing, and of each panel in it.
const COLUMNS: usize = 3;
const WIDTH: f64 = 380.0;
const HEIGHT: f64 = 250.0;
/// Around the plot of a panel.
const LEFT: f64 = 48.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 34.0;

/// Sales of a customer in a year, and the shares of sales with 1 to 4 items, of the published model with its samplers in the right
/// order.
const A_YEAR: f64 = 15.9;
const ITEMS: [f64; 4] = [0.30, 0.26, 0.19, 0.12];
/// Of the distance between home and store, in miles; a degree on the globe.
const NEAR: f64 = 5.0;
const DEGREE: f64 = 69.09;

/// Bars of what was made, and a line or dots of what should be.
struct Panel {
    title: &'static str,
    x: &'static str,
    made: Vec<f64>,
    /// By the place of the bar, which may lie between two.
    should: Vec<(f64, f64)>,
    /// What is written below some of the bars.
    ticks: Vec<(usize, String)>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let parameters = Parameters::default();
    let (petstore, blocks) = (Petstore::new(parameters.clone())?, parameters.customers / COHORT);
    let sales: Vec<Sale> =
        (0..blocks).flat_map(|block| petstore.block(BlockId { run: 1, loader: 0, block }).to_sales()).collect();
    let mut of: BTreeMap<u64, Vec<&Sale>> = BTreeMap::new();
    for sale in &sales {
        of.entry(sale.customer.id).or_default().push(sale);
    }
    let people: Vec<&Sale> = of.values().filter_map(|own| at_home(own)).collect();
    let panels = [in_a_year(&of), items(&sales), states(&sales), miles(&people)?, names(&people)?, pets(&people)];
    println!("{}", drawn(&panels, sales.len(), people.len()));
    Ok(())
}

/// A sale in the store where this customer buys most.
fn at_home<'a>(own: &[&'a Sale]) -> Option<&'a Sale> {
    own.iter().copied().max_by_key(|sale| own.iter().filter(|other| other.store.id == sale.store.id).count())
}

fn in_a_year(of: &BTreeMap<u64, Vec<&Sale>>) -> Panel {
    let counts: Vec<usize> = of.values().map(Vec::len).collect();
    let mean = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
    let made = shares(counts, 46);
    let most = made.iter().copied().fold(0.0, f64::max);
    eprintln!("sales of a customer in a year: {mean:.2}, published {A_YEAR}");
    Panel {
        title: "Sales of a customer in a year; line: 15.9",
        x: "sales",
        made,
        should: vec![(A_YEAR, 0.0), (A_YEAR, most)],
        ticks: every(10, 46),
    }
}

fn items(sales: &[Sale]) -> Panel {
    Panel {
        title: "Items of a sale; line: as published, 1 to 4",
        x: "items",
        made: shares(sales.iter().map(|sale| sale.items.len()), 14),
        should: (1..).map(f64::from).zip(ITEMS).collect(),
        ticks: every(2, 14),
    }
}

fn states(sales: &[Sale]) -> Panel {
    let mut order = State::ALL;
    order.sort_by(|one, other| other.share().total_cmp(&one.share()));
    let place = |state: State| order.iter().position(|one| *one == state).unwrap_or_default();
    Panel {
        title: "States' shares of sales; line: people × income",
        x: "states, largest first",
        made: shares(sales.iter().map(|sale| place(sale.state())), order.len()),
        should: (0..).map(f64::from).zip(order.map(State::share)).collect(),
        ticks: order.iter().enumerate().step_by(6).map(|(at, state)| (at, state.code().to_uppercase())).collect(),
    }
}

fn pets(people: &[&Sale]) -> Panel {
    let counts = people.iter().map(|sale| usize::from(sale.customer.pets.dogs + sale.customer.pets.cats));
    Panel {
        title: "Pets of a customer; line: 1 to 10, all alike",
        x: "pets",
        made: shares(counts, 12),
        should: vec![(1.0, 0.1), (10.0, 0.1)],
        ticks: every(1, 12),
    }
}

/// Miles from home to the store, in steps of two; what should be: P(zip | store) ∝ exp(-d / 5 miles).
fn miles(people: &[&Sale]) -> Result<Panel, Box<dyn std::error::Error>> {
    const STEPS: usize = 21;
    let places = table(include_str!("../data/places.csv"))?;
    // To the nearest even number.
    let step = |miles: f64| (miles / 2.0).round().min(STEPS as f64 - 1.0);
    let (mut made, mut should) = ([0.0; STEPS], [0.0; STEPS]);
    let mut known: BTreeMap<&str, [f64; STEPS]> = BTreeMap::new();
    for sale in people {
        let (home, store) = (place(&places, &sale.customer.zip)?, place(&places, &sale.store.zip)?);
        made[index(step(distance(home, store)))] += 1.0 / people.len() as f64;
        let expected = known.entry(&sale.store.zip).or_insert_with(|| {
            let mut weights = [0.0; STEPS];
            for other in places.values() {
                let miles = distance(*other, store);
                weights[index(step(miles))] += (-miles / NEAR).exp();
            }
            let sum: f64 = weights.iter().sum();
            weights.map(|weight| weight / sum)
        });
        expected.iter().zip(&mut should).for_each(|(one, all)| *all += one / people.len() as f64);
    }
    Ok(Panel {
        title: "From home to the usual store; line: ∝ exp(−miles / 5)",
        x: "miles",
        made: made.into(),
        should: (0..).map(f64::from).zip(should).collect(),
        ticks: (0..STEPS).step_by(5).map(|at| (at, (2 * at).to_string())).collect(),
    })
}

/// How often the most frequent last names occur.
fn names(people: &[&Sale]) -> Result<Panel, Box<dyn std::error::Error>> {
    const MOST: usize = 30;
    let rows: Vec<(&str, f64)> = include_str!("../data/last_names.csv")
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(','))
        .map(|(name, frequency)| Ok((name, frequency.parse()?)))
        .collect::<Result<_, std::num::ParseFloatError>>()?;
    let sum: f64 = rows.iter().map(|(_, frequency)| frequency).sum();
    let count = |name: &str| people.iter().filter(|sale| sale.customer.last == name).count();
    Ok(Panel {
        title: "The most frequent last names; line: the census",
        x: "names, the most frequent first",
        made: rows.iter().take(MOST).map(|(name, _)| count(name) as f64 / people.len() as f64).collect(),
        should: (0..).map(f64::from).zip(rows.iter().take(MOST).map(|(_, frequency)| frequency / sum)).collect(),
        ticks: (0..MOST).step_by(7).map(|at| (at, rows[at].0.to_owned())).collect(),
    })
}

/// Latitude and longitude of each zip code.
fn table(csv: &str) -> Result<BTreeMap<&str, [f64; 2]>, Box<dyn std::error::Error>> {
    csv.lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let [zip, _, _, latitude, longitude, ..] = fields[..] else {
                return Err(format!("not a place: {line}").into());
            };
            Ok((zip, [latitude.parse()?, longitude.parse()?]))
        })
        .collect()
}

fn place(places: &BTreeMap<&str, [f64; 2]>, zip: &str) -> Result<[f64; 2], String> {
    places.get(zip).copied().ok_or_else(|| format!("no zip code {zip}"))
}

/// By the spherical law of cosines, in miles.
fn distance(one: [f64; 2], other: [f64; 2]) -> f64 {
    let [(from, to), (west, east)] = [0, 1].map(|at| (one[at].to_radians(), other[at].to_radians()));
    let cosine = from.sin() * to.sin() + from.cos() * to.cos() * (west - east).cos();
    cosine.clamp(-1.0, 1.0).acos().to_degrees() * DEGREE
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number that is not negative")]
fn index(at: f64) -> usize {
    at as usize
}

/// The share of each number below `bins`; larger ones count with the last.
fn shares(numbers: impl IntoIterator<Item = usize>, bins: usize) -> Vec<f64> {
    let (mut counts, mut all) = (vec![0_u32; bins], 0_u32);
    for number in numbers {
        counts[number.min(bins - 1)] += 1;
        all += 1;
    }
    counts.into_iter().map(|count| f64::from(count) / f64::from(all)).collect()
}

fn every(step: usize, bins: usize) -> Vec<(usize, String)> {
    (0..bins).step_by(step).map(|at| (at, at.to_string())).collect()
}

fn drawn(panels: &[Panel], sales: usize, people: usize) -> String {
    let (width, height) = (WIDTH * COLUMNS as f64, HEIGHT * panels.len().div_ceil(COLUMNS) as f64 + 24.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"12\" y=\"18\" fill=\"#333\">{sales} sales of {people} customers in a year, seed 2014. Bars: made. Line: should be.</text>\n"
    );
    for (at, panel) in panels.iter().enumerate() {
        let (x, y) = ((at % COLUMNS) as f64 * WIDTH, (at / COLUMNS) as f64 * HEIGHT + 24.0);
        let _ = writeln!(svg, "<g transform=\"translate({x},{y})\">{}</g>", panel.drawn());
    }
    svg + "</svg>"
}

impl Panel {
    fn drawn(&self) -> String {
        let (plot_width, plot_height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
        let highest = self.made.iter().chain(self.should.iter().map(|(_, y)| y)).copied().fold(0.0, f64::max) * 1.05;
        let each = plot_width / self.made.len() as f64;
        let (x, y) = (|at: f64| LEFT + (at + 0.5) * each, |share: f64| TOP + plot_height * (1.0 - share / highest));
        let (floor, middle) = (y(0.0), LEFT + plot_width / 2.0);
        let mut svg = format!("<text x=\"{LEFT}\" y=\"28\" fill=\"#111\" font-weight=\"bold\">{}</text>", self.title);
        for (at, share) in self.made.iter().enumerate() {
            let (left, top) = (x(at as f64) - each * 0.4, y(*share));
            let _ = write!(
                svg,
                "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#9ecae1\"/>",
                each * 0.8,
                floor - top
            );
        }
        let points: Vec<String> =
            self.should.iter().map(|(at, share)| format!("{:.1},{:.1}", x(*at), y(*share))).collect();
        let _ = write!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"#d94801\" stroke-width=\"1.5\"/>",
            points.join(" ")
        );
        if self.should.len() > 2 {
            for point in points.iter().filter_map(|point| point.split_once(',')) {
                let _ = write!(svg, "<circle cx=\"{}\" cy=\"{}\" r=\"2\" fill=\"#d94801\"/>", point.0, point.1);
            }
        }
        let _ = write!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{floor}\" y2=\"{floor}\" stroke=\"#666\"/>",
            LEFT + plot_width
        );
        for share in [0.0, highest / 2.0, highest] {
            let (at, percent) = (y(share) + 4.0, share * 100.0);
            let _ = write!(
                svg,
                "<text x=\"{}\" y=\"{at:.1}\" text-anchor=\"end\" fill=\"#666\">{percent:.1} %</text>",
                LEFT - 4.0
            );
        }
        for (at, text) in &self.ticks {
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#666\">{text}</text>",
                x(*at as f64),
                floor + 14.0
            );
        }
        let _ = write!(
            svg,
            "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\" fill=\"#666\">{}</text>",
            floor + 28.0,
            self.x
        );
        svg
    }
}
