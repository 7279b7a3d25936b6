# SPDX-License-Identifier: ISC
# Makes of mcrelayd.service what systemd from version 253 on can do: it sends the
# signal itself, and waits until the reload is done.
s/^Type=notify$/Type=notify-reload/
s/^# Says what is wrong with the configuration, and fails then\.$/# To reload it is sent SIGHUP.  `mcrelayctl reload' says what is wrong with the\
# configuration; the journal does, too./
/^ExecReload=/d
