//! Subnets: address ranges and MACs that nodes own (spec: meta-protocol 8, routing 3).

/// Who owns an address; placeholder type of the workspace's first day.
#[derive(Clone, Debug, Default)]
pub struct SubnetTable;
