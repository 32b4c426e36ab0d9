from muster.local.carrier.main import main

main()
