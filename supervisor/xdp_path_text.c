/* SPDX-License-Identifier: ISC */
/*
 * What -n says of inputs with `path: xdp'.  See xdp_path.h.  Supervisor only.
 */
#include <stdio.h>

#include "supervisor/xdp_path.h"
#include "supervisor/xdp_steer.h"

bool
xdp_path_text(const struct conf *conf, char text[XDP_WHY_SIZE])
{
	struct xdp_program *program;
	char why[XDP_WHY_SIZE];
	bool wanted = false, can = true;
	const struct listen_config *listen;
	size_t i;

	for (i = 0; i < conf->channels; i++)
		wanted = wanted || conf->channel[i].listen[0].xdp;
	if (!wanted)
		return false;
	program = xdp_program_load(why);
	for (i = 0; i < conf->channels && can; i++) {
		listen = &conf->channel[i].listen[0];
		can = program != NULL && (!listen->steer ||
		    xdp_steer_possible(listen->interface, why));
	}
	if (can)
		(void)snprintf(text, XDP_WHY_SIZE, "by AF_XDP sockets");
	else
		(void)snprintf(text, XDP_WHY_SIZE, "by ordinary sockets: "
		    "%.170s", why);
	xdp_program_free(program);
	return true;
}
