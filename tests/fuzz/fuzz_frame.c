/* SPDX-License-Identifier: ISC */
/*
 * Fuzzing what a frame goes through that comes by AF_XDP: the program at the
 * interface, compiled to run here, and the worker.  The input is a frame, for a
 * socket at 239.192.7.1 and one at ff15::7:1, both at port 5001, without a tag
 * or of VLAN 5.
 *
 * Neither reads what is not there; and of what the program takes there is a
 * datagram, of the size that is left, which is in the frame.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "tests/unit/xdp_here.h"
#include "worker/xdp_frame.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INTERFACE	3U
#define QUEUE		1U
#define HEADERS_V4	(14 + 20 + 8)
#define HEADERS_V6	(14 + 40 + 8)
#define TAG		4
#define VLAN		5U

static const struct xdp_key keys[] = {
	{.ifindex = INTERFACE, .family = 4, .address = {239, 192, 7, 1}},
	{.ifindex = INTERFACE, .family = 6,
	    .address = {0xff, 0x15, [13] = 7, [15] = 1}},
};

static void
check(const uint8_t *frame, size_t size)
{
	struct arrival arrival;
	bool taken = xdp_here_takes(frame, size, INTERFACE, QUEUE);
	bool read = xdp_frame_read(frame, size, true, &arrival);
	size_t headers = arrival.record.family == 4 ? HEADERS_V4 : HEADERS_V6;
	bool tagged;

	assert(read || !taken);
	if (!read)
		return;
	tagged = frame[12] == 0x81 && frame[13] == 0;
	if (tagged)
		headers += TAG;
	assert(!taken || (tagged ? (frame[14] & 0xfU) << 8 | frame[15] : 0) ==
	    xdp_here_key.vlan);
	assert(arrival.rest == frame + headers);
	assert(arrival.record.length <= size - headers);
	/* It may find that to be wrong. */
	(void)xdp_frame_read(frame, size, false, &arrival);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *frame = xdp_here_put(data, size);
	size_t i;

	if (frame == NULL)
		return 0;
	xdp_here_place = (struct xdp_place){.queue = QUEUE,
	    .mac = {2, 0, 0, 0, 0x81, 1}};
	for (i = 0; i < NITEMS(keys); i++) {
		xdp_here_key = keys[i];
		xdp_here_key.port = htons(5001);
		check(frame, size);
		xdp_here_key.vlan = VLAN;
		check(frame, size);
	}
	return 0;
}
