//! A set of graph nodes as bits.

use crate::image::graph::NodeId;

/// A set of [`NodeId`]s.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeSet {
    words: Vec<u64>,
}

impl NodeSet {
    /// An empty set with room for nodes below `nodes`.
    #[must_use]
    pub fn with_capacity(nodes: usize) -> Self {
        NodeSet {
            words: vec![0; nodes.div_ceil(64)],
        }
    }

    /// Adds a node; false if it was there.
    pub fn insert(&mut self, node: NodeId) -> bool {
        let (word, bit) = (node.index() / 64, 1 << (node.index() % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        new
    }

    /// Whether the node is in the set.
    #[must_use]
    pub fn contains(&self, node: NodeId) -> bool {
        self.words
            .get(node.index() / 64)
            .is_some_and(|word| word & (1 << (node.index() % 64)) != 0)
    }

    /// Number of nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The nodes in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = NodeId> {
        let bits = |(index, word): (usize, &u64)| {
            let word = *word;
            (0..64)
                .filter(move |bit| word & (1 << bit) != 0)
                .map(move |bit| NodeId::from_index(index * 64 + bit))
        };
        self.words.iter().enumerate().flat_map(bits)
    }
}

impl Extend<NodeId> for NodeSet {
    fn extend<I: IntoIterator<Item = NodeId>>(&mut self, nodes: I) {
        for node in nodes {
            self.insert(node);
        }
    }
}

impl FromIterator<NodeId> for NodeSet {
    fn from_iter<I: IntoIterator<Item = NodeId>>(nodes: I) -> Self {
        let mut set = NodeSet::default();
        set.extend(nodes);
        set
    }
}

#[cfg(test)]
mod tests {
    use super::NodeSet;
    use crate::image::graph::NodeId;

    #[test]
    fn set_operations() {
        let mut set = NodeSet::with_capacity(10);
        assert!(set.is_empty());
        assert!(set.insert(NodeId::from_index(200)));
        assert!(set.insert(NodeId::from_index(63)));
        assert!(!set.insert(NodeId::from_index(63)));
        assert!(set.contains(NodeId::from_index(200)));
        assert!(!set.contains(NodeId::from_index(64)));
        assert!(!set.contains(NodeId::from_index(5000)));
        assert_eq!(set.len(), 2);
        assert_eq!(set.iter().map(NodeId::index).collect::<Vec<_>>(), [63, 200]);
    }
}
