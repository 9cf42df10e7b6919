//! Pure: the Merkle tree over the heads of all books, as RFC 6962 (section 2.1) builds it.
//!
//! Leaves and nodes are hashed with different first bytes, so that no node passes for a leaf.

use crate::canonical::{Hash, sha256};

/// The hash of one book's place in a checkpoint.
pub(crate) fn leaf(book: i64, number: i64, head: &Hash) -> Hash {
    let mut bytes = [0_u8; 49];
    bytes[1..9].copy_from_slice(&book.to_be_bytes());
    bytes[9..17].copy_from_slice(&number.to_be_bytes());
    bytes[17..].copy_from_slice(head);
    sha256(&bytes)
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1_u8; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    sha256(&bytes)
}

/// How many leaves lie to the left: the largest power of two below `size`, which is at least two.
fn split(size: usize) -> usize {
    size.next_power_of_two() / 2
}

/// The root over leaves in their order; of no leaves, the hash of nothing.
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [only] => *only,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node(&root(left), &root(right))
        }
    }
}

/// The neighbours that lead from one leaf up to the root, lowest first.
pub(crate) fn path(leaves: &[Hash], index: usize) -> Vec<Hash> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let middle = split(leaves.len());
    let (left, right) = leaves.split_at(middle);
    let (mut path, neighbour) = if index < middle {
        (path(left, index), root(right))
    } else {
        (path(right, index - middle), root(left))
    };
    path.push(neighbour);
    path
}

/// The root that a leaf and its path lead to; `None` when the path has the wrong length.
pub(crate) fn root_along(leaf: Hash, index: usize, size: usize, path: &[Hash]) -> Option<Hash> {
    if size < 2 {
        return (path.is_empty() && index < size).then_some(leaf);
    }
    let (neighbour, below) = path.split_last()?;
    let middle = split(size);
    if index < middle {
        Some(node(&root_along(leaf, index, middle, below)?, neighbour))
    } else {
        Some(node(
            neighbour,
            &root_along(leaf, index - middle, size - middle, below)?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_leaf_leads_to_the_root_and_no_other_does() {
        for size in 1..40_usize {
            let leaves: Vec<Hash> = (0..size).map(|i| sha256(&i.to_be_bytes())).collect();
            let root = root(&leaves);
            for (index, &leaf) in leaves.iter().enumerate() {
                let path = path(&leaves, index);
                assert_eq!(root_along(leaf, index, size, &path), Some(root));
                assert_ne!(root_along(sha256(b"other"), index, size, &path), Some(root));
                assert_ne!(root_along(leaf, index + 1, size, &path), Some(root));
                if let Some((_, shorter)) = path.split_last() {
                    assert_ne!(root_along(leaf, index, size, shorter), Some(root));
                }
            }
        }
    }

    /// Leaf hashes of RFC 6962's own test vectors (as published with its reference code).
    #[test]
    fn the_tree_is_the_one_of_rfc_6962() {
        let inputs: [&[u8]; 5] = [b"", b"\x00", b"\x10", b"\x20\x21", b"\x30\x31"];
        let leaves: Vec<Hash> = inputs
            .iter()
            .map(|input| sha256(&[&[0_u8], *input].concat()))
            .collect();
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        ];
        for (size, expected) in roots.iter().enumerate() {
            assert_eq!(
                hex::encode(root(&leaves[..size])),
                *expected,
                "{size} leaves"
            );
        }
    }
}
