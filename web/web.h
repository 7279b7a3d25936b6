/* SPDX-License-Identifier: ISC */
/*
 * mcrelay-web: serves metrics by HTTP.  Started by mcrelayd with a socket that
 * listens; asks it for the status, which is all that it may.
 */
#ifndef MCRELAY_WEB_H
#define MCRELAY_WEB_H

/* Returns the exit status. */
int	web_run(void);

#endif /* MCRELAY_WEB_H */
