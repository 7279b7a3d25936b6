/* SPDX-License-Identifier: ISC */
/*
 * Numbered datagrams of chosen sizes, sent to a rig and expected of it in
 * their order.
 */
#ifndef MCRELAY_TEST_EXPECTED_H
#define MCRELAY_TEST_EXPECTED_H

#include "tests/unit/rig.h"

/* Datagram number i of a test: its size from the table, its bytes from i. */
struct expected {
	const uint32_t	*sizes;
	unsigned	 count;		/* of sizes; used round and round */
	uint64_t	 next;
};

uint32_t	expected_size(const struct expected *expected,
		    uint64_t number);
void	expected_fill(uint8_t *payload, uint32_t size, uint64_t number);

/* Asserts that this is the next one. */
void	expected_check(struct expected *expected, const uint8_t *payload,
	    size_t size);

void	expected_send(struct rig *rig, struct expected *expected,
	    uint64_t number);

/* Waits (bounded) for all up to number `count' to come to the sink. */
void	expected_receive(struct rig *rig, struct expected *expected,
	    uint64_t count);

#endif /* MCRELAY_TEST_EXPECTED_H */
