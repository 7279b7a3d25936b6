/* SPDX-License-Identifier: ISC */
/*
 * Makes AF_XDP sockets.  See xdp_socket.h.  Supervisor only.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "common/xdp_rings.h"
#include "supervisor/memory_file.h"
#include "supervisor/xdp_socket.h"

/* Nothing is sent: but no socket comes without the ring for that. */
#define COMPLETIONS	2U

#define MAP_AGAIN	"map the rings of a bound AF_XDP socket (which takes " \
			"Linux 6.4)"

void
xdp_socket_init(struct xdp_socket *xdp)
{
	*xdp = (struct xdp_socket){.socket = -1, .memory = -1};
}

uint32_t
xdp_socket_frames(uint64_t receive_buffer)
{
	/* The kernel doubles what a socket is given. */
	uint64_t bytes = receive_buffer * 2;
	uint32_t frames = XDP_FRAMES_MIN;

	while (frames < XDP_FRAMES_MAX &&
	    (uint64_t)frames * XDP_FRAME_SIZE < bytes)
		frames *= 2;
	return frames;
}

static int
set(int socket, int option, uint32_t value)
{
	return setsockopt(socket, SOL_XDP, option, &value, sizeof(value));
}

/* The kernel keeps the pages; who maps them is not its concern. */
static int
give_memory(struct xdp_socket *xdp)
{
	size_t size = (size_t)xdp->frames * XDP_FRAME_SIZE;
	void *at = memory_file_shared("mcrelay:xdp", size, &xdp->memory);
	struct xdp_umem_reg reg;
	int result, error;

	if (at == NULL)
		return -1;
	memset(&reg, 0, sizeof(reg));
	reg.addr = (uintptr_t)at;
	reg.len = size;
	reg.chunk_size = XDP_FRAME_SIZE;
	result = setsockopt(xdp->socket, SOL_XDP, XDP_UMEM_REG, &reg,
	    sizeof(reg));
	error = errno;
	(void)munmap(at, size);
	errno = error;
	return result;
}

/* All frames are the kernel's at first. */
static int
make_rings(const struct xdp_socket *xdp)
{
	struct xdp_rings rings;
	uint32_t i;

	if (set(xdp->socket, XDP_UMEM_FILL_RING, xdp->frames) == -1 ||
	    set(xdp->socket, XDP_UMEM_COMPLETION_RING, COMPLETIONS) == -1 ||
	    set(xdp->socket, XDP_RX_RING, xdp->frames) == -1 ||
	    xdp_rings_map(&rings, xdp->socket, xdp->frames) == -1)
		return -1;
	for (i = 0; i < xdp->frames; i++)
		rings.fill[i] = (uint64_t)i * XDP_FRAME_SIZE;
	xdp_rings_settle(&rings, 0);
	xdp_rings_unmap(&rings);
	return 0;
}

static int
bind_it(const struct xdp_socket *xdp)
{
	struct sockaddr_xdp address;

	memset(&address, 0, sizeof(address));
	address.sxdp_family = AF_XDP;
	address.sxdp_ifindex = xdp->ifindex;
	address.sxdp_queue_id = xdp->queue;
	/* The kernel copies where the driver cannot do without. */
	return bind(xdp->socket, (const void *)&address, sizeof(address));
}

/* The kernel is none by which it can be done: a socket and its memory are not
 * made to see that again. */
static bool	cannot_map;

/* As a worker does: before Linux 6.4 nobody can where a socket is bound. */
static int
map_again(const struct xdp_socket *xdp)
{
	struct xdp_rings rings;

	if (xdp_rings_map(&rings, xdp->socket, xdp->frames) == -1) {
		cannot_map = errno == EBUSY;
		if (cannot_map)
			errno = EOPNOTSUPP;
		return -1;
	}
	xdp_rings_unmap(&rings);
	return 0;
}

static bool
learn(struct xdp_socket *xdp)
{
	struct xdp_options options;
	socklen_t size = sizeof(xdp->cookie);
	struct stat st;

	if (getsockopt(xdp->socket, SOL_SOCKET, SO_COOKIE, &xdp->cookie,
	    &size) == -1 || fstat(xdp->memory, &st) == -1)
		return false;
	xdp->frames = (uint32_t)(st.st_size / XDP_FRAME_SIZE);
	size = sizeof(options);
	xdp->zero_copy = getsockopt(xdp->socket, SOL_XDP, XDP_OPTIONS,
	    &options, &size) == 0 &&
	    (options.flags & XDP_OPTIONS_ZEROCOPY) != 0;
	return true;
}

int
xdp_socket_open(struct xdp_socket *xdp, uint32_t ifindex, uint32_t queue,
    uint32_t frames, const char **what)
{
	int error;

	if (cannot_map) {
		*what = MAP_AGAIN;
		errno = EOPNOTSUPP;
		return -1;
	}
	*xdp = (struct xdp_socket){.memory = -1, .ifindex = ifindex,
	    .queue = queue, .frames = frames};
	*what = "make an AF_XDP socket";
	xdp->socket = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (xdp->socket != -1) {
		*what = "give an AF_XDP socket its memory";
		if (give_memory(xdp) == 0 && make_rings(xdp) == 0) {
			*what = "bind an AF_XDP socket to the queue";
			if (bind_it(xdp) == 0) {
				*what = MAP_AGAIN;
				if (map_again(xdp) == 0 && learn(xdp))
					return 0;
			}
		}
	}
	error = errno;
	xdp_socket_close(xdp);
	errno = error;
	return -1;
}

void
xdp_socket_close(struct xdp_socket *xdp)
{
	if (xdp->socket != -1)
		close(xdp->socket);
	if (xdp->memory != -1)
		close(xdp->memory);
	xdp_socket_init(xdp);
}

bool
xdp_socket_adopt(struct xdp_socket *xdp, int socket, int memory,
    uint32_t ifindex, uint32_t queue)
{
	socklen_t size = sizeof(int);
	int domain;

	if (socket == -1 || memory == -1 || getsockopt(socket, SOL_SOCKET,
	    SO_DOMAIN, &domain, &size) == -1 || domain != AF_XDP)
		return false;
	*xdp = (struct xdp_socket){.socket = socket, .memory = memory,
	    .ifindex = ifindex, .queue = queue};
	if (learn(xdp))
		return true;
	xdp_socket_init(xdp);
	return false;
}

uint32_t
xdp_socket_waiting(const struct xdp_socket *xdp, uint64_t committed)
{
	struct xdp_rings rings;
	uint32_t waiting;

	if (xdp_rings_map(&rings, xdp->socket, xdp->frames) == -1)
		return 0;
	waiting = xdp_rings_waiting(&rings, committed);
	xdp_rings_unmap(&rings);
	return waiting;
}

static struct xdp_statistics
ask_statistics(const struct xdp_socket *xdp)
{
	struct xdp_statistics said;
	socklen_t size = sizeof(said);

	memset(&said, 0, sizeof(said));
	(void)getsockopt(xdp->socket, SOL_XDP, XDP_STATISTICS, &said, &size);
	return said;
}

uint64_t
xdp_socket_drops(const struct xdp_socket *xdp)
{
	const struct xdp_statistics said = ask_statistics(xdp);

	return said.rx_dropped + said.rx_ring_full;
}

uint64_t
xdp_socket_starved(const struct xdp_socket *xdp)
{
	return xdp->zero_copy ? ask_statistics(xdp).rx_fill_ring_empty_descs :
	    0;
}
