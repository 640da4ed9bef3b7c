//! How a source reads a column. The source makes it, the plan carries it, and the source alone understands it.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

/// What a [`ReadPlan`] can be made of.
trait Payload: Any + Debug + Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn is_same(&self, other: &dyn Any) -> bool;
}

impl<T: Any + Debug + PartialEq + Send + Sync> Payload for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn is_same(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<T>() == Some(self)
    }
}

/// A source's own plan for reading a column.
#[derive(Debug, Clone)]
pub struct ReadPlan(Arc<dyn Payload>);

impl ReadPlan {
    pub fn new<T: Any + Debug + PartialEq + Send + Sync>(own: T) -> Self {
        Self(Arc::new(own))
    }

    /// What it was made of; `None` where another source made it.
    pub fn get<T: Any>(&self) -> Option<&T> {
        (*self.0).as_any().downcast_ref()
    }
}

impl PartialEq for ReadPlan {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_same((*other.0).as_any())
    }
}

impl Eq for ReadPlan {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_equal_to_plans_of_the_same_kind_and_value() {
        assert_eq!(ReadPlan::new(3_u8), ReadPlan::new(3_u8));
        assert_ne!(ReadPlan::new(3_u8), ReadPlan::new(4_u8));
        assert_ne!(ReadPlan::new(3_u8), ReadPlan::new(3_u16));
        assert_eq!((ReadPlan::new(3_u8).get::<u8>(), ReadPlan::new(3_u8).get::<u16>()), (Some(&3), None));
    }
}
