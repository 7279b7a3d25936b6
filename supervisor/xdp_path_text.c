/* SPDX-License-Identifier: ISC */
/*
 * What -n says of inputs with `path: xdp'.  See xdp_path.h.  Supervisor only.
 */
#include <net/if.h>
#include <errno.h>
#include <stdio.h>

#include "common/xdp_rings.h"
#include "supervisor/supervisor.h"
#include "supervisor/xdp_path_priv.h"
#include "supervisor/xdp_steer.h"
#include "supervisor/xdp_where.h"

/* One that is not there yet cannot be asked. */
static bool
can_have(const struct listen_config *listen, char why[XDP_WHY_SIZE])
{
	struct xdp_where where;

	if (!listen->xdp || if_nametoindex(listen->interface) == 0)
		return true;
	return xdp_where(listen->interface, &where, why) &&
	    (!listen->steer || xdp_steer_possible(where.name, why));
}

/* Whether the kernel has such sockets, of which others can map the rings: by
 * one that nobody gives anything to, which is gone at once. */
static bool
has_sockets(char why[XDP_WHY_SIZE])
{
	struct xdp_socket xdp;
	const char *what;

	if (xdp_socket_open(&xdp, if_nametoindex("lo"), 0, XDP_FRAMES_MIN,
	    &what) == 0) {
		xdp_socket_close(&xdp);
		return true;
	}
	/* It is down, or the queue is somebody's. */
	return errno == ENETDOWN || errno == EBUSY || xdp_explain(what, why);
}

bool
xdp_path_text(const struct conf *conf, char text[XDP_WHY_SIZE])
{
	struct xdp_program *program;
	char why[XDP_WHY_SIZE];
	bool wanted = false, can;
	size_t i;

	for (i = 0; i < conf->channels; i++)
		wanted = wanted || conf->channel[i].listen[0].xdp;
	if (!wanted)
		return false;
	program = xdp_program_load(why);
	can = program != NULL && has_sockets(why);
	for (i = 0; i < conf->channels && can; i++)
		can = can_have(&conf->channel[i].listen[0], why);
	if (can)
		(void)snprintf(text, XDP_WHY_SIZE, "by AF_XDP sockets");
	else
		(void)snprintf(text, XDP_WHY_SIZE, "by ordinary sockets: "
		    "%.170s", why);
	xdp_program_free(program);
	return true;
}
