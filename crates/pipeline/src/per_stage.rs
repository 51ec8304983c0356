//! One value for each stage.

use std::ops::{Index, IndexMut};

use crate::Stage;

/// One value for each stage, found by the stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerStage<T>([T; Stage::ALL.len()]);

impl<T> PerStage<T> {
    /// Makes the value of each stage.
    pub fn from_fn(each: impl FnMut(Stage) -> T) -> Self {
        Self(Stage::ALL.map(each))
    }

    /// The values with their stages, in the order of the flow.
    pub fn iter(&self) -> impl Iterator<Item = (Stage, &T)> {
        Stage::ALL.into_iter().zip(&self.0)
    }
}

impl<T> Index<Stage> for PerStage<T> {
    type Output = T;

    fn index(&self, stage: Stage) -> &T {
        &self.0[stage as usize]
    }
}

impl<T> IndexMut<Stage> for PerStage<T> {
    fn index_mut(&mut self, stage: Stage) -> &mut T {
        &mut self.0[stage as usize]
    }
}
