"""Feature selection and AutoML for click-through-rate and other sparse, categorical, binary-outcome tables."""
