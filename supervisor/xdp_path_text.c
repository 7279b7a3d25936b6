/* SPDX-License-Identifier: ISC */
/*
 * What -n says of inputs with `path: xdp'.  See xdp_path.h.  Supervisor only.
 */
#include <stdio.h>

#include "supervisor/xdp_path.h"
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

bool
xdp_path_text(const struct conf *conf, char text[XDP_WHY_SIZE])
{
	struct xdp_program *program;
	char why[XDP_WHY_SIZE];
	bool wanted = false, can = true;
	size_t i;

	for (i = 0; i < conf->channels; i++)
		wanted = wanted || conf->channel[i].listen[0].xdp;
	if (!wanted)
		return false;
	program = xdp_program_load(why);
	for (i = 0; i < conf->channels && can; i++)
		can = program != NULL &&
		    can_have(&conf->channel[i].listen[0], why);
	if (can)
		(void)snprintf(text, XDP_WHY_SIZE, "by AF_XDP sockets");
	else
		(void)snprintf(text, XDP_WHY_SIZE, "by ordinary sockets: "
		    "%.170s", why);
	xdp_program_free(program);
	return true;
}
