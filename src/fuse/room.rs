//! How much room there is, as statfs(2) says it.

use fuser::ReplyStatfs;

use crate::container::{Limits, Usage};
use crate::path::NAME_MAX;

const BLOCK: u64 = 4096;
/// What is said where there is no limit: 1 PiB, and as many inodes as programs can count in 32 bits.
const BYTES: u64 = 1 << 50;
const INODES: u64 = u32::MAX as u64;

pub(super) fn tell((usage, limits): (Usage, Limits), reply: ReplyStatfs) {
    let bytes = limits.bytes.unwrap_or(BYTES);
    let inodes = limits.inodes.unwrap_or(INODES);
    let free = bytes.saturating_sub(usage.bytes) / BLOCK;
    let free_inodes = inodes.saturating_sub(usage.inodes);
    let block = BLOCK as u32;
    reply.statfs(bytes / BLOCK, free, free, inodes, free_inodes, block, NAME_MAX as u32, block);
}
