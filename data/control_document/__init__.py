"""Documents that tell the control loop what to do: `kind: control`, beside a fleet document."""
