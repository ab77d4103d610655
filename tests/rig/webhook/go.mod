module rig.platctl.dev/webhook

go 1.26
