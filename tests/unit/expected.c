/* SPDX-License-Identifier: ISC */
/*
 * Numbered datagrams of chosen sizes, through a rig.
 */
#include <sys/socket.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/expected.h"

uint32_t
expected_size(const struct expected *expected, uint64_t number)
{
	return expected->sizes[number % expected->count];
}

void
expected_fill(uint8_t *payload, uint32_t size, uint64_t number)
{
	uint32_t i;

	for (i = 0; i < size; i++)
		payload[i] = (uint8_t)(number * 7 + i);
	if (size >= sizeof(number))
		memcpy(payload, &number, sizeof(number));
}

void
expected_check(struct expected *expected, const uint8_t *payload, size_t size)
{
	static uint8_t want[65536];
	uint32_t want_size = expected_size(expected, expected->next);

	expected_fill(want, want_size, expected->next);
	if (size != want_size || memcmp(payload, want, size) != 0)
		fail_msg("datagram %llu: %zu bytes, expected %u",
		    (unsigned long long)expected->next, size, want_size);
	expected->next++;
}

void
expected_send(struct rig *rig, struct expected *expected, uint64_t number)
{
	static uint8_t payload[65536];
	uint32_t size = expected_size(expected, number);

	expected_fill(payload, size, number);
	rig_send(rig, payload, size);
}

void
expected_receive(struct rig *rig, struct expected *expected, uint64_t count)
{
	static uint8_t payload[65536];
	struct pollfd pollfd = {.fd = rig->sink, .events = POLLIN};
	ssize_t size;

	while (expected->next < count) {
		assert_int_equal(poll(&pollfd, 1, 20000), 1);
		size = recv(rig->sink, payload, sizeof(payload), 0);
		assert_int_not_equal(size, -1);
		expected_check(expected, payload, (size_t)size);
	}
}
