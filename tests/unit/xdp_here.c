/* SPDX-License-Identifier: ISC */
/*
 * Runs the program for the kernel.  See xdp_here.h.
 */
#include <sys/mman.h>
#include <assert.h>
#include <string.h>

#include "tests/unit/xdp_here.h"

/* It is written for another compiler, and for the kernel's ways to be found. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunknown-pragmas"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wint-to-pointer-cast"
#pragma GCC diagnostic ignored "-Wcast-qual"
#include "bpf/xdp_input.bpf.c"
#pragma GCC diagnostic pop

/* Below 2^31, where no program and no library is.  Whole pages, however large
 * they are. */
#define PLACE	((uint8_t *)0x10000000)
#define ROOM	65536U

struct xdp_key		xdp_here_key;
struct xdp_place	xdp_here_place;
uint64_t		xdp_here_now;
bool			xdp_here_no_room;

static size_t		frame_size;

void *
bpf_map_lookup_elem(void *map, const void *key)
{
	assert(map == &mcrelay_places);
	return memcmp(key, &xdp_here_key, sizeof(xdp_here_key)) == 0 ?
	    &xdp_here_place : NULL;
}

long
bpf_redirect_map(void *map, uint64_t key, uint64_t flags)
{
	assert(map == &mcrelay_sockets && key == xdp_here_place.socket &&
	    flags == XDP_PASS);
	return XDP_REDIRECT;
}

uint64_t
bpf_xdp_get_buff_len(struct xdp_md *ctx)
{
	assert(ctx->data_end - ctx->data == frame_size);
	return frame_size;
}

long
bpf_xdp_adjust_meta(struct xdp_md *ctx, int delta)
{
	assert(delta == -(int)sizeof(struct xdp_stamp) &&
	    ctx->data_meta == ctx->data);
	if (xdp_here_no_room)
		return -1;
	ctx->data_meta -= (uint32_t)sizeof(struct xdp_stamp);
	return 0;
}

uint64_t
bpf_ktime_get_ns(void)
{
	return xdp_here_now;
}

uint8_t *
xdp_here_put(const void *frame, size_t size)
{
	static bool there;
	uint8_t *at = PLACE + ROOM - size;

	if (!there) {
		assert(mmap(PLACE, 2 * ROOM, PROT_NONE, MAP_PRIVATE |
		    MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == PLACE);
		assert(mprotect(PLACE, ROOM, PROT_READ | PROT_WRITE) == 0);
		there = true;
	}
	if (size > ROOM - sizeof(struct xdp_stamp))
		return NULL;
	memset(at - sizeof(struct xdp_stamp), 0, sizeof(struct xdp_stamp));
	memcpy(at, frame, size);
	return at;
}

bool
xdp_here_takes(const uint8_t *frame, size_t size, uint32_t ifindex,
    uint32_t queue)
{
	struct xdp_md ctx = {.data = (uint32_t)(uintptr_t)frame,
	    .data_meta = (uint32_t)(uintptr_t)frame,
	    .data_end = (uint32_t)((uintptr_t)frame + size),
	    .ingress_ifindex = ifindex, .rx_queue_index = queue};
	int action;

	frame_size = size;
	action = mcrelay_xdp(&ctx);
	assert(action == XDP_PASS || action == XDP_REDIRECT);
	return action == XDP_REDIRECT;
}
