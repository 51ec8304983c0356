//! Prints what blocks cost and hold: `cargo run --release -p petstore --example measure`.

use std::time::Instant;

use petstore::{Block, BlockId, Parameters, Petstore, Sale, SaleRef};

const BLOCKS: u32 = 50;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let petstore = Petstore::new(Parameters::default())?;
    println!("opening {} stores: {:.1} ms", petstore.parameters().stores, millis(started));

    let started = Instant::now();
    petstore.block(BlockId { run: 1, loader: 1, block: 0 });
    println!("the first block, with the tables: {:.1} ms", millis(started));

    let started = Instant::now();
    let blocks: Vec<_> = (0..BLOCKS).map(|block| petstore.block(BlockId { run: 1, loader: 0, block })).collect();
    let generating = millis(started);
    let sales = blocks.iter().map(Block::len).sum::<usize>() as f64;
    println!("sales in a block: {:.0}", sales / f64::from(BLOCKS));
    println!(
        "generating a block: {:.1} ms, {:.0} sales/s",
        generating / f64::from(BLOCKS),
        sales / generating * 1_000.0
    );

    let started = Instant::now();
    let (mut bodies, mut sizes) = (Vec::with_capacity(1 << 20), Vec::new());
    for sale in blocks.iter().flat_map(Block::iter) {
        if bodies.len() > 1 << 20 {
            bodies.clear();
        }
        let before = bodies.len();
        sale.write_json(&mut bodies);
        sizes.push(bodies.len() - before);
    }
    let writing = millis(started);
    let both = sales / (generating + writing) * 1_000.0;
    println!("writing a sale: {:.2} us; with generating it, {both:.0} sales/s", writing * 1_000.0 / sales);
    sizes.sort_unstable();
    let at = |share: usize| sizes[(sizes.len() - 1) * share / 100];
    let mean = sizes.iter().sum::<usize>() as f64 / sales;
    println!("bytes of a sale: mean {mean:.0}, median {}, p95 {}, most {}", at(50), at(95), at(100));

    let started = Instant::now();
    let mixed = blocks.iter().flat_map(Block::iter).fold(0, |mixed, sale| mixed ^ sale.digest());
    println!("digesting a sale: {:.2} us ({mixed:016x})", millis(started) * 1_000.0 / sales);

    let sold: Vec<Sale> = blocks.iter().flat_map(Block::to_sales).collect();
    let bodies = sold.iter().map(serde_json::to_vec).collect::<Result<Vec<_>, _>>()?;
    let started = Instant::now();
    let valid = bodies.iter().filter(|body| SaleRef::parse(body).is_ok()).count();
    println!("checking a sale's JSON: {:.2} us ({valid} are valid)", millis(started) * 1_000.0 / sales);
    let started = Instant::now();
    let read = bodies
        .iter()
        .map(|body| serde_json::from_slice::<Sale>(body).map(|sale| sale.items.len()))
        .sum::<Result<usize, _>>()?;
    println!("reading a sale: {:.2} us ({read} items)", millis(started) * 1_000.0 / sales);

    let items: Vec<_> = sold.iter().map(|sale| sale.items.len()).collect();
    let mean = items.iter().sum::<usize>() as f64 / sales;
    println!("items of a sale: mean {mean:.2}, most {}", items.iter().max().unwrap_or(&0));

    let mut months = [0_u32; 12];
    for sale in &sold {
        months[usize::try_from(sale.time * 12 / (365 * 86_400))?.min(11)] += 1;
    }
    println!("sales by month: {months:?}");
    Ok(())
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1_000.0
}
