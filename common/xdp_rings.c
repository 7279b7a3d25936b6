/* SPDX-License-Identifier: ISC */
/*
 * Mapping the rings of an AF_XDP socket.  See xdp_rings.h.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <errno.h>
#include <string.h>

#include "common/xdp_rings.h"

static uint8_t *
map_one(struct xdp_rings *rings, unsigned which, int socket, uint64_t from,
    uint64_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_POPULATE, socket, (off_t)from);

	if (at == MAP_FAILED)
		return NULL;
	rings->map[which] = at;
	rings->size[which] = size;
	return at;
}

int
xdp_rings_map(struct xdp_rings *rings, int socket, uint32_t frames)
{
	struct xdp_mmap_offsets at;
	socklen_t size = sizeof(at);
	uint8_t *fill, *receive;
	int error;

	memset(rings, 0, sizeof(*rings));
	if (getsockopt(socket, SOL_XDP, XDP_MMAP_OFFSETS, &at, &size) == -1)
		return -1;
	/* Before Linux 5.4 there was less of it. */
	errno = EOPNOTSUPP;
	if (size != sizeof(at))
		return -1;
	rings->frames = frames;
	fill = map_one(rings, 0, socket, XDP_UMEM_PGOFF_FILL_RING,
	    at.fr.desc + frames * sizeof(*rings->fill));
	receive = fill == NULL ? NULL : map_one(rings, 1, socket,
	    XDP_PGOFF_RX_RING, at.rx.desc + frames * sizeof(*rings->receive));
	if (receive == NULL) {
		error = errno;
		xdp_rings_unmap(rings);
		errno = error;
		return -1;
	}
	rings->fill_producer = (void *)(fill + at.fr.producer);
	rings->fill = (void *)(fill + at.fr.desc);
	rings->receive_producer = (void *)(receive + at.rx.producer);
	rings->receive_consumer = (void *)(receive + at.rx.consumer);
	rings->receive = (const void *)(receive + at.rx.desc);
	return 0;
}

void
xdp_rings_unmap(struct xdp_rings *rings)
{
	unsigned i;

	for (i = 0; i < 2; i++)
		if (rings->map[i] != NULL)
			(void)munmap(rings->map[i], rings->size[i]);
	memset(rings, 0, sizeof(*rings));
}
