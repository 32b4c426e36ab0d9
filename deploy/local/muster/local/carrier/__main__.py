from muster.local.carrier.server import main

main()
