//! Shuffle sharding: a flow may use a few of many queues, dealt by its hash, so that two flows hardly ever share all of theirs.

/// Deals `hand` different cards of a deck of `deck`, always the same for one `hash`. A hand is at most the deck.
pub fn deal(hash: u64, deck: usize, hand: usize) -> Vec<usize> {
    let mut rest = hash;
    let mut dealt: Vec<usize> = Vec::with_capacity(hand);
    for n in 0..hand.min(deck) {
        let left = (deck - n) as u64;
        let mut card = (rest % left) as usize;
        rest /= left;
        // The card is counted among those that are left: those dealt before are passed over, in order.
        let mut sorted = dealt.clone();
        sorted.sort_unstable();
        for before in sorted {
            if before <= card {
                card += 1;
            }
        }
        dealt.push(card);
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands() {
        for hash in [0, 1, 77, u64::MAX, 0x9e37_79b9_7f4a_7c15] {
            let mut hand = deal(hash, 16, 4);
            assert_eq!(deal(hash, 16, 4), hand);
            assert!(hand.iter().all(|card| *card < 16));
            hand.sort_unstable();
            hand.dedup();
            assert_eq!(hand.len(), 4, "{hash}");
        }
        assert_eq!(deal(5, 1, 1), [0]);
        assert_eq!(deal(0, 3, 3), [0, 1, 2]);
        assert_eq!(deal(u64::MAX, 2, 6).len(), 2);
    }

    /// Every card is dealt about as often as any other.
    #[test]
    fn fair() {
        let mut count = [0; 8];
        for hash in 0..8 * 7 * 100 {
            deal(hash, 8, 2).into_iter().for_each(|card| count[card] += 1);
        }
        assert_eq!(count, [1400; 8]);
    }
}
